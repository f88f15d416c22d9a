//! What needs no cluster: bodies there and back, and what the tries of a command lead to.
mod body;
mod submit;
