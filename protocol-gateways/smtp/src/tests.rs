//! Dialogues over real sockets on loopback, most of them with a stand-in for the service that says what it is told to.

mod dialogue;
mod outcomes;
mod solo;
mod stand_in;
mod tls;
