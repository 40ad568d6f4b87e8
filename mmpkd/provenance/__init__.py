"""Where a finished run came from and what it made: `provenance.json`, the RO-Crate, and `mmpkd verify`."""
