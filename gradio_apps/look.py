"""The look of the portal's own apps: one theme and one stylesheet, light and dark, nothing fetched from elsewhere."""

from typing import Any, Final

import gradio as gr

_FONT: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO: Final = ("ui-monospace", "SFMono-Regular", "Menlo", "monospace")

_ACCENT: Final = gr.themes.Color(
    name="accent",
    c50="#eef7f5",
    c100="#dff0ec",
    c200="#b7ddd5",
    c300="#6fd6c6",
    c400="#3fa695",
    c500="#1b8577",
    c600="#0b6e63",
    c700="#075a51",
    c800="#06483f",
    c900="#17332f",
    c950="#06231f",
)
_GREY: Final = gr.themes.Color(
    name="grey",
    c50="#faf9f7",
    c100="#f1eee9",
    c200="#e2ded5",
    c300="#c3c5ca",
    c400="#a9aeb8",
    c500="#767d89",
    c600="#585c64",
    c700="#2e333b",
    c800="#1c1f23",
    c900="#181b1f",
    c950="#131518",
)

STYLES: Final = """
/* A flex item with automatic margins would be as wide as its widest row of tabs. */
.gradio-container { width: 100% !important; max-width: 64rem !important; margin-inline: auto !important; }
.dark .gradio-container { --color-accent: #6fd6c6; }
.gradio-container :is(td, th, [role=gridcell]), .gradio-container :is(td, th, [role=gridcell]) * {
  font-family: var(--font) !important;
}
/* Otherwise the heading of an empty column has one letter per line. */
.gradio-container th .header { white-space: nowrap !important; }
.beside { align-items: center; }
.beside > :first-child { flex: 1 1 14rem !important; }
.at-the-end { align-items: end; }
.gradio-container > .main { padding-inline: clamp(1rem, 4vw, 2rem) !important; }
.gradio-container input[type=range]::-webkit-slider-thumb { background-color: var(--slider-color) !important; }
.gradio-container input[type=range]::-moz-range-thumb { background-color: var(--slider-color) !important; }
#identity .html-container { padding: 0 !important; }
.identity { display: flex; gap: 1.25rem; align-items: center; flex-wrap: wrap; }
.identity .picture {
  width: 4.5rem; height: 4.5rem; border-radius: 50%; flex: none; object-fit: cover;
  display: grid; place-items: center; font-size: 1.5rem; font-weight: 700;
  color: #fff; background: #0b6e63;
}
.identity h2 { margin: 0; font-size: 1.5rem; line-height: 1.2; color: var(--body-text-color); }
.identity p { margin: .25rem 0 0; color: var(--body-text-color-subdued); overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: .75rem; margin: 1.5rem 0 0; }
.facts > div {
  padding: .875rem 1rem; border: 1px solid var(--border-color-primary); border-radius: .75rem;
  background: var(--background-fill-secondary);
}
.facts dt { font-size: .8125rem; color: var(--body-text-color-subdued); }
.facts dd { margin: .125rem 0 0; font-weight: 600; color: var(--body-text-color); overflow-wrap: anywhere; }
.facts .more { font-weight: 400; color: var(--body-text-color-subdued); }
.chip {
  display: inline-block; margin: .125rem .25rem .125rem 0; padding: .0625rem .625rem; border-radius: 99rem;
  border: 1px solid var(--border-color-primary); font-weight: 600; font-size: .875rem;
}
.leave { margin: 1.5rem 0 0; }
.leave a {
  display: inline-block; padding: .5rem 1.125rem; border-radius: .625rem; font-weight: 600; text-decoration: none;
  color: var(--body-text-color); border: 1px solid var(--border-color-primary);
  background: var(--background-fill-secondary);
}
.leave a:hover { border-color: var(--color-accent); }
.leave a:focus-visible { outline: 3px solid var(--color-accent); outline-offset: 2px; }
.alone {
  padding: 1rem 1.25rem; border: 1px dashed var(--border-color-primary); border-radius: .75rem;
  color: var(--body-text-color); background: var(--background-fill-secondary);
}
"""


def look() -> dict[str, Any]:
    """Return the arguments of ``launch()`` for this look."""
    theme = gr.themes.Default(
        primary_hue=_ACCENT, secondary_hue=_ACCENT, neutral_hue=_GREY, font=_FONT, font_mono=_MONO
    )
    # Gradio's own greys and red have too little contrast (WCAG 2.2, 1.4.3).
    readable = {
        "body_text_color_subdued": "*neutral_600",
        "body_text_color_subdued_dark": "*neutral_300",
        "block_label_text_color": "*neutral_600",
        "block_label_text_color_dark": "*neutral_300",
        "block_title_text_color": "*neutral_700",
        "block_title_text_color_dark": "*neutral_200",
        "block_info_text_color": "*neutral_600",
        "block_info_text_color_dark": "*neutral_300",
        "input_placeholder_color": "*neutral_500",
        "input_placeholder_color_dark": "*neutral_400",
        "color_accent": "*primary_600",
        "slider_color_dark": "*primary_300",
        "link_text_color_dark": "*primary_300",
        "button_primary_background_fill": "*primary_600",
        "button_primary_background_fill_dark": "*primary_600",
        "button_primary_background_fill_hover": "*primary_700",
        "button_primary_background_fill_hover_dark": "*primary_700",
        "button_cancel_background_fill": "#b91c1c",
        "button_cancel_background_fill_dark": "#b91c1c",
        "button_cancel_background_fill_hover": "#991b1b",
        "button_cancel_background_fill_hover_dark": "#991b1b",
        "button_cancel_text_color": "#ffffff",
        "button_cancel_text_color_dark": "#ffffff",
    }
    # The portal's own backgrounds, so that bar and frame look like one page.
    backgrounds = {
        "body_background_fill": "#f6f4f0",
        "body_background_fill_dark": "#131518",
        "background_fill_secondary": "#ffffff",
        "background_fill_secondary_dark": "#1b1e23",
        "block_background_fill_dark": "#1b1e23",
        "input_background_fill_dark": "#131518",
        "table_even_background_fill_dark": "#1b1e23",
        "table_odd_background_fill_dark": "#202429",
    }
    return {
        "theme": theme.set(**readable, **backgrounds),
        "css": STYLES,
        "footer_links": [],
    }
