"""Pure building blocks that every layer may use: no sockets, no database, none of Zanari's rules."""
