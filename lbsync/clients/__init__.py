"""The doors: the only code that touches anything outside this process.

Each module translates foreign errors into `lbsync.errors`, chained with `from`, and foreign types
into `lbsync.model`. Nothing above a door sees a foreign exception or a foreign type.
"""
