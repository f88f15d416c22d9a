//! LMTP deliveries, one recipient each, a connection after the other's node.

use super::{Row, Unit};
use crate::lmtp;

pub const ROW: Row = Row {
    name: "deliver",
    title: "LMTP deliveries",
    unit: Unit::Operations,
    writes: true,
    connections: None,
    run: |setup| {
        let peer = setup.peer;
        lmtp::drive(
            &peer.addresses,
            peer.writers(),
            setup.connections,
            setup.messages,
            setup.time,
        )
    },
};
