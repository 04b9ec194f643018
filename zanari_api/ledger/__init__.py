"""The books: accounts, transfers, entries. The only writer of schema `ledger`; knows no goal or deposit."""
