"""How Sphinx makes the site; `make_site` calls it."""

project = html_title = "icnn"
root_doc = "index"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
extensions += ["chinese_search", "formulas", "pages", "module_pages"]  # ours, in this folder
# Notebooks are shown as they were saved. Where a widget was saved, its picture beside it is shown.
nb_execution_mode = "off"
nb_mime_priority_overrides = [("*", "application/vnd.jupyter.widget-view+json", None)]
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4

html_theme = "sphinx_book_theme"
html_theme_options = {
    "navbar_persistent": [],  # else there are two search fields
    "show_toc_level": 2,
    "max_navbar_depth": 1,
    "home_page_in_toc": True,
    "footer_content_items": [],
    "use_fullscreen_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"**": ["search-button-field.html", "sbt-sidebar-nav.html"]}
html_context = {"default_mode": "auto"}  # else the theme complains once
html_css_files = ["site.css"]
html_show_search_summary = False  # a page that was opened as a file may not fetch others
html_show_sourcelink = False
html_domain_indices = html_use_index = False
html_show_copyright = html_show_sphinx = False
html_search_language = "icnn"

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "ignore-module-all": True}  # each name once
autodoc_preserve_defaults = True
napoleon_use_ivar = True
autodoc_typehints_format = "short"
toc_object_entries_show_parents = "hide"
