//! Headers as a balancer sends them, and as nobody should. After a good one the protocol's first octets are still there.

use super::*;

fn run(header: &[u8]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let sent = [header, b"NOOP"].concat();
    let mut reader = sent.as_slice();
    match runtime.block_on(read_header(&mut reader)) {
        Ok(address) => {
            assert_eq!(reader, b"NOOP", "the header is read and nothing more");
            address.map_or("own".to_owned(), |a| a.to_string())
        }
        Err(ProxyError::Broken) => "broken".to_owned(),
        Err(ProxyError::TooLong) => "too long".to_owned(),
        Err(ProxyError::Io(error)) => format!("{:?}", error.kind()),
    }
}

#[track_caller]
fn v1(header: &str, expect: &str) {
    assert_eq!(run(header.as_bytes()), expect, "{header:?}");
}

#[track_caller]
fn v2(version_command: u8, family: u8, body: &[u8], expect: &str) {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let header = [
        V2_SIGNATURE.as_slice(),
        &[version_command, family],
        &length,
        body,
    ]
    .concat();
    assert_eq!(
        run(&header),
        expect,
        "{version_command:#x} {family:#x} {body:?}"
    );
}

#[test]
fn version_1() {
    v1(
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 24\r\n",
        "192.0.2.1",
    );
    v1(
        "PROXY TCP6 2001:db8::1 2001:db8::2 56324 24\r\n",
        "2001:db8::1",
    );
    v1(
        "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 24\r\n",
        "192.0.2.1",
    );
    v1("PROXY UNKNOWN\r\n", "own");
    v1("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "own");
    v1("PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n", "broken");
    v1("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "broken");
    v1("PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n", "broken");
    v1("PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", "broken");
    v1("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", "broken");
    v1("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n", "broken");
    v1("PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", "broken");
    v1("PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n", "broken");
    v1("LHLO example.org\r\n", "broken");
    v1(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(91)), "own");
    v1(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)), "too long");
}

#[test]
fn version_2() {
    let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0, 9, 0, 24];
    let with_tlv = [v4.as_slice(), &[0x04, 0, 3, 1, 2, 3]].concat();
    let mut v6 = [0u8; 36];
    v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    v2(0x21, 0x11, &v4, "192.0.2.1");
    v2(0x21, 0x11, &with_tlv, "192.0.2.1");
    v2(0x21, 0x21, &v6, "2001:db8::");
    v2(0x20, 0x00, &[], "own");
    v2(0x20, 0x11, &v4, "own");
    v2(0x21, 0x00, &[], "own");
    v2(0x21, 0x31, &[0; 216], "own");
    v2(0x21, 0x11, &v4[..11], "broken");
    v2(0x21, 0x21, &v6[..35], "broken");
    v2(0x21, 0x12, &v4, "broken");
    v2(0x22, 0x11, &v4, "broken");
    v2(0x11, 0x11, &v4, "broken");
    v2(0x20, 0x00, &[0; 2_048], "own");
    v2(0x20, 0x00, &[0; 2_049], "too long");
}

#[test]
fn a_header_cut_short_ends_the_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let whole = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 24\r\n";
    for cut in 0..whole.len() {
        let mut reader = &whole[..cut];
        let result = runtime.block_on(read_header(&mut reader));
        assert!(matches!(result, Err(ProxyError::Io(_))), "{cut}");
    }
}
