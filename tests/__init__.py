import os

# Hundreds of processes are started, which would each compile the package anew. Before the helpers are imported, since
# the fork server keeps the environment of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
