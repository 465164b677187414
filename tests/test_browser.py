"""JupyterLab in Chromium."""


def test_a_page_opens(chromium) -> None:
    page = chromium.new_page()
    page.goto("data:text/html,<title>hello</title>")
    assert page.title() == "hello"
    page.close()
