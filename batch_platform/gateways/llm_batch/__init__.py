"""Providers' batch endpoints: thousands of requests in a file, at half price, within a day or two.

`opening.open_batch_client` opens one; `jsonl.write_chunks` writes what it sends. Whoever uses it
keeps the job's state: nothing here remembers anything but files half uploaded or downloaded.
"""
