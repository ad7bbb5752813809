//! The bus on SQLite, inside one process.
