//! JSON Schemas and the AsyncAPI document.
