"""One session: trials, photometry, quality, preprocessing, responses, and the pipeline that strings them together."""
