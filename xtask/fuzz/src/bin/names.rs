//! Addresses and mailbox names: what is accepted prints to text that is accepted as the same value.
#![no_main]

use engine_types::{Address, MailboxName};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(address) = Address::parse(text) {
        let printed = address.to_string();
        assert_eq!(
            Address::parse(&printed).as_ref(),
            Ok(&address),
            "{text:?} printed as {printed:?}"
        );
    }
    if let Ok(name) = MailboxName::new(text) {
        assert_eq!(
            MailboxName::new(name.as_str()).as_ref(),
            Ok(&name),
            "{text:?}"
        );
        assert_eq!(name.is_inbox(), name == MailboxName::inbox(), "{text:?}");
    }
});
