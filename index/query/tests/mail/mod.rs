//! Messages by chance, with what makes mail hard: encoded words, charsets, transfer encodings, HTML, parts within parts,
//! scripts without spaces, marks, wrapped lines.

use super::questions::Chance;

const WORDS: [&str; 40] = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "report",
    "Meeting",
    "budget",
    "Grüße",
    "straße",
    "café",
    "naïve",
    "Ελλάδα",
    "привет",
    "日本語",
    "東京都",
    "カタカナ",
    "ｶﾞｷﾞ",
    "한국어",
    "שלום",
    "ﬁnal",
    "Ⅷ",
    "e-mail",
    "C++",
    "a.b@example.org",
    "http://example.org/x?y=1&z",
    "10:30",
    "$4.50",
    "(see",
    "below)",
    "\"quoted\"",
    "don't",
    "x",
    "I",
    "re:",
    "fwd:",
    "supercalifragilisticexpialidocious",
    "0123456789abcdef0123456789abcdef",
    "__init__",
    "--",
];

struct Writer {
    chance: Chance,
}

pub fn generate(count: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut writer = Writer {
        chance: Chance(seed),
    };
    (0..count).map(|number| writer.message(number, 0)).collect()
}

impl Writer {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.chance.below(from.len())]
    }

    /// Common words come first in the list, and are drawn more often.
    fn words(&mut self, most: usize) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.chance.below(most) {
            let narrow = self.chance.below(WORDS.len()) + 1;
            let word = WORDS[self.chance.below(narrow)];
            let between = match self.chance.below(12) {
                0 => ", ",
                1 => ".\r\n",
                2 => "  ",
                3 if word.len() > 4 => "",
                _ => " ",
            };
            text.push_str(word);
            if self.chance.below(40) == 0 {
                text.push_str(&format!("{:x}", self.chance.next() >> 40));
            }
            text.push_str(between);
        }
        text
    }

    fn value(&mut self) -> String {
        let text = self.words(8).replace("\r\n", " ");
        match self.chance.below(4) {
            0 => encoded_word(&text),
            1 => text.replacen(' ', "\r\n ", 1),
            _ => text,
        }
    }

    fn message(&mut self, number: usize, depth: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let name = self.words(2).replace("\r\n", " ");
        for (field, value) in [
            (
                "From",
                format!("{} <u{}@example.org>", encoded_word(&name), number % 17),
            ),
            ("To", format!("v{}@example.net", number % 5)),
            ("Subject", self.value()),
            (
                "Message-ID",
                format!("<{number}.{}@example.org>", self.chance.below(999)),
            ),
        ] {
            out.extend(format!("{field}: {value}\r\n").into_bytes());
        }
        if self.chance.below(3) == 0 {
            let field = self.pick(&["Cc", "Bcc", "X-Mailer", "Received", "subject"]);
            let value = self.value();
            out.extend(format!("{field}: {value}\r\n").into_bytes());
        }
        self.part(number, depth, &mut out);
        out
    }

    /// The header's end and a body.
    fn part(&mut self, number: usize, depth: usize, out: &mut Vec<u8>) {
        match self.chance.below(10) {
            0..=2 if depth < 3 => self.multipart(number, depth, out),
            3 if depth < 3 => {
                out.extend(b"Content-Type: message/rfc822\r\n\r\n");
                let inner = self.message(number, depth + 1);
                out.extend(inner);
            }
            4 => {
                let name = self.words(2).replace(['\r', '\n', '"'], "");
                let escaped: String = name.bytes().map(|octet| format!("%{octet:02x}")).collect();
                out.extend(
                    format!("Content-Disposition: attachment; filename*=utf-8''{escaped}\r\n")
                        .bytes(),
                );
                out.extend(b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n");
                out.extend(b"VGhpcyBpcyBub3QgdGV4dC4=\r\n");
            }
            5 | 6 => {
                let html = self.html();
                self.text("html", &html, out);
            }
            _ => {
                let text = self.words(60);
                self.text("plain", &text, out);
            }
        }
    }

    fn multipart(&mut self, number: usize, depth: usize, out: &mut Vec<u8>) {
        let boundary = format!("b{depth}");
        out.extend(
            format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\npreamble\r\n")
                .bytes(),
        );
        for _ in 0..1 + self.chance.below(3) {
            out.extend(format!("\r\n--{boundary}\r\n").bytes());
            self.part(number, depth + 1, out);
        }
        out.extend(format!("\r\n--{boundary}--\r\n").bytes());
    }

    fn html(&mut self) -> String {
        let mut html = String::from("<html><style>p { x: y }</style>");
        for _ in 0..1 + self.chance.below(6) {
            let text = self
                .words(10)
                .replace('&', "&amp;")
                .replace('é', "&eacute;");
            html.push_str(self.pick(&[
                "<p>",
                "<b>",
                "</b>",
                "<br/>",
                "<!-- no -->",
                "<a href=\"x>y\">",
                "< ",
                "<o:p>",
            ]));
            html.push_str(&text);
        }
        html.push_str(self.pick(&[
            "</html>",
            "<script>if (a<b) {}</script>",
            "<p title='",
            "&nbsp;&#8364;&#150;&unknown;",
        ]));
        html
    }

    fn text(&mut self, subtype: &str, text: &str, out: &mut Vec<u8>) {
        let (charset, mut octets) = match self.chance.below(6) {
            0 => (
                "iso-8859-1",
                encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
            ),
            1 => (
                "shift_jis",
                encoding_rs::SHIFT_JIS.encode(text).0.into_owned(),
            ),
            2 => ("koi8-r", encoding_rs::KOI8_R.encode(text).0.into_owned()),
            3 => (
                "x-unknown",
                encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
            ),
            4 => ("us-ascii", text.as_bytes().to_vec()),
            _ => ("utf-8", text.as_bytes().to_vec()),
        };
        if self.chance.below(20) == 0 {
            octets.push(0xff);
        }
        out.extend(format!("Content-Type: text/{subtype}; charset=\"{charset}\"\r\n").bytes());
        match self.chance.below(3) {
            0 => {
                out.extend(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
                quoted_printable(&octets, out);
            }
            1 => {
                out.extend(b"Content-Transfer-Encoding: BASE64\r\n\r\n");
                base64(&octets, out);
            }
            _ => {
                out.extend(b"\r\n");
                out.extend(octets);
            }
        }
    }
}

fn encoded_word(text: &str) -> String {
    let mut words = Vec::new();
    // Cut without regard to characters, as some senders do.
    for chunk in text.as_bytes().chunks(13) {
        let hex: String = chunk.iter().map(|octet| format!("={octet:02X}")).collect();
        words.push(format!("=?utf-8?q?{hex}?="));
    }
    words.join("\r\n ")
}

fn quoted_printable(octets: &[u8], out: &mut Vec<u8>) {
    for (at, octet) in octets.iter().enumerate() {
        match octet {
            b'=' | 0x80.. => out.extend(format!("={octet:02X}").bytes()),
            _ => out.push(*octet),
        }
        if at % 50 == 49 {
            out.extend(b"=\r\n");
        }
    }
}

fn base64(octets: &[u8], out: &mut Vec<u8>) {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (at, group) in octets.chunks(3).enumerate() {
        let bits = group
            .iter()
            .fold(0_u32, |bits, octet| bits << 8 | u32::from(*octet))
            << (8 * (3 - group.len()));
        let letters = (0..=group.len()).map(|n| LETTERS[(bits >> (18 - 6 * n) & 63) as usize]);
        out.extend(letters);
        out.extend(std::iter::repeat_n(b'=', 3 - group.len()));
        if at % 19 == 18 {
            out.extend(b"\r\n");
        }
    }
}
