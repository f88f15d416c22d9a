//! Octets in a charset to text, for SEARCH.

/// What RFC 2047 and real mail need most. Others: ASCII is read, the rest of their octets matches nothing.
pub fn to_text(octets: &[u8], charset: &[u8]) -> String {
    let name = charset.trim_ascii().to_ascii_lowercase();
    match &name[..] {
        b"utf-8" | b"utf8" => String::from_utf8_lossy(octets).into_owned(),
        // Latin 1 is sent for Windows 1252 so often that the WHATWG reads both alike.
        b"iso-8859-1" | b"iso8859-1" | b"latin1" | b"windows-1252" | b"cp1252" => {
            octets.iter().map(|octet| windows_1252(*octet)).collect()
        }
        b"iso-8859-15" | b"latin9" => octets.iter().map(|octet| latin_9(*octet)).collect(),
        // 8-bit octets under a label that denies them, or under none.
        b"" | b"us-ascii" | b"ascii" | b"unknown-8bit" => match std::str::from_utf8(octets) {
            Ok(text) => text.to_owned(),
            Err(_) => octets.iter().map(|octet| windows_1252(*octet)).collect(),
        },
        _ => octets
            .iter()
            .map(|octet| match octet.is_ascii() {
                true => char::from(*octet),
                false => char::REPLACEMENT_CHARACTER,
            })
            .collect(),
    }
}

fn windows_1252(octet: u8) -> char {
    const FROM_80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match octet {
        0x80..=0x9f => FROM_80[usize::from(octet - 0x80)],
        _ => char::from(octet),
    }
}

fn latin_9(octet: u8) -> char {
    match octet {
        0xa4 => '€',
        0xa6 => 'Š',
        0xa8 => 'š',
        0xb4 => 'Ž',
        0xb8 => 'ž',
        0xbc => 'Œ',
        0xbd => 'œ',
        0xbe => 'Ÿ',
        _ => char::from(octet),
    }
}
