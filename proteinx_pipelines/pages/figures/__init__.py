"""Pictures as data, rendered as static drawing, interactive drawing, SVG or CSV."""
