"""The makers of the records are scripts: they import each other as neighbours, which pytest's import mode cannot."""

collect_ignore_glob = ["ma*.py"]
