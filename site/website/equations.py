"""The formulas behind the public functions, for the reference."""

from __future__ import annotations

EQUATIONS = {
    "part_templates": r"""
        T_\mu(i,j) = \tau \max\!\left(1 - \beta\,\frac{\|(i,j)-\mu\|_1}{n},\,-1\right),
        \qquad T^- = -\tau, \qquad \tau = \frac{0.5}{n^2}""",
    "template_prior": r"p(T_\mu) = \frac{\alpha}{n^2}, \qquad p(T^-) = 1 - \alpha",
    "part_mask": r"""
        \mathrm{mask}(i,j) = \max\!\left(1 - \beta\,\frac{\|(i,j)-\hat\mu\|_1}{n},\,0\right),
        \qquad \hat\mu = \arg\max_\mu x_\mu""",
    "fitness": r"""
        s_{bT} = \mathrm{tr}(x_b \cdot T), \qquad p(x_b \mid T) = \frac{e^{s_{bT}}}{Z_T},
        \qquad Z_T = \sum_b e^{s_{bT}}""",
    "mutual_information": r"""
        \mathrm{MI}(X;T) = \sum_T p(T) \sum_b p(x_b \mid T) \ln\frac{p(x_b \mid T)}{p(x_b)},
        \qquad p(x_b) = \sum_T p(T)\,p(x_b \mid T)""",
    "entropy_terms": r"""
        -\mathrm{MI}(X;T) = -H(T) + H(T' \mid X) + \sum_b p(T^+, x_b)\,H(T^+ \mid X = x_b)""",
    "filter_loss": r"\mathrm{Loss} = -\frac1C \sum_f \mathrm{MI}(X_f; T)",
    "category_loss": r"""
        -\ln p(\hat T \mid x), \qquad p(T \mid x) = \frac{e^{s_T}}{\sum_{T'} e^{s_{T'}}}""",
    "paper_gradient": r"""
        \frac{\partial\,\mathrm{Loss}}{\partial x_b} \approx -\frac1C\,p(\hat T)\,p(x_b \mid \hat T)
        \ln\frac{p(x_b \mid \hat T)}{p(x_b)}\,\hat T""",
    "assign_categories": r"""
        \hat c_f = \arg\max_c\;\operatorname{mean}_{b \in c}\;\operatorname{mean}_{ij}\;x_{bij}""",
    "location_instability": r"""
        D_{f,k} = \mathrm{std}_b \frac{\|p_k - \hat\mu_f\|}{\text{diagonal}}""",
    "part_tracking": r"1 - \frac{\mathrm{Var}(\hat\mu_f - p_k)}{\mathrm{Var}(p_k)}",
    "part_interpretability": r"""
        \max_k\;\operatorname{mean}_{b\text{ with part }k}\left[
        \frac{|\text{active}_b \cap \text{part}_{bk}|}{|\text{active}_b \cup \text{part}_{bk}|}
        > 0.2\right]""",
    "category_selectivity": r"""
        \max_c\,\frac{a_c}{\sum_{c'} a_{c'}}, \qquad a_c = \operatorname{mean}_{b \in c}\;
        \operatorname{mean}_{ij}\;x_{bij}""",
}
