//! What an IMAP client sends: commands, literals and all argument parsers on any octets.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    gateway_imap::fuzz::read_all(octets);
});
