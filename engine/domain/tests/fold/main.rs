//! The fold from outside: rules of mail as tables, and random commands against a naive model.
mod chunks;
mod directory;
mod golden;
mod model;
mod property;
mod quarantine;
mod recovered;
mod repeats;
mod rules;
mod world;
