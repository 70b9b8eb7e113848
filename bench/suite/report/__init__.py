"""The results for people: text.py (numbers and terminal tables), markdown.py, svg.py,
targets.py (what the design promised), publish.py (into README.md and docs/)."""
