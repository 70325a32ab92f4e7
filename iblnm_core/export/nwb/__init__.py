"""One NWB file per session: `reading` what is known, `building` the file, `writing` and `checking` it; `exporting` ties them together."""
