"""What the process of every run begins with: imported once, in the process that runs fork from."""

from batch_platform.definitions import defs

defs.get_repository_def().load_all_definitions()
