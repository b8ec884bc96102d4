"""The Master's database: its tables, how it is opened, and its one writer."""
