"""Do the pages do what people need? Headless Chromium walks them as PMO, finance, engineer and nobody."""
