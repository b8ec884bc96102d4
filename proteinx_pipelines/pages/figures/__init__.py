"""Pictures as data: each is made once and shown as a static drawing, as an interactive one, as SVG and as CSV."""
