//! A message to folded text: what is found where.

use index_extract::{Kind, Part, folded_text};

fn part<'a>(kind: Kind, header: &'a str, octets: &'a [u8], children: Vec<Part<'a>>) -> Part<'a> {
    Part {
        kind,
        header: header.as_bytes(),
        params: Vec::new(),
        disposition: Vec::new(),
        encoding: "7bit",
        octets,
        children,
    }
}

#[track_caller]
fn check(root: &Part<'_>, head: &str, body: &str) {
    let text = folded_text(root);
    assert_eq!((text.head.as_str(), text.body.as_str()), (head, body));
}

#[test]
fn a_plain_message() {
    let header = "Subject: =?utf-8?q?gr=C3=BC=C3=9F?=\r\n dich\r\nX-Empty:\r\n\r\n";
    let mut root = part(Kind::Text, header, b"one=20\r\ntwo=\r\n three\r\n", vec![]);
    root.encoding = "quoted-printable";
    check(
        &root,
        "SUBJECT: GRU\u{308}ß DICH\nX-EMPTY: \n",
        "ONE TWO THREE \n",
    );
}

#[test]
fn charsets_and_html() {
    let mut root = part(Kind::Html, "", b"<p>\xfc&auml;</p><style>x</style>", vec![]);
    root.params = vec![(b"Charset", b"iso-8859-1")];
    check(&root, "", " U\u{308}A\u{308} \n");
}

#[test]
fn parts_attached_messages_and_names() {
    let inner = part(Kind::Text, "Subject: In\r\n\r\n", b"deep", vec![]);
    let attached = part(
        Kind::Message,
        "Content-Type: message/rfc822\r\n",
        b"",
        vec![inner],
    );
    let mut file = part(Kind::Other, "X-Part: p\r\n", b"c2VjcmV0", vec![]);
    file.disposition = vec![(b"filename*", b"utf-8''%c3%a4.pdf")];
    let text = part(Kind::Text, "", b"shallow", vec![]);
    let root = part(
        Kind::Multipart,
        "Subject: Out\r\n\r\n",
        b"preamble",
        vec![text, attached, file],
    );
    check(
        &root,
        "SUBJECT: OUT\n\nCONTENT-TYPE: MESSAGE/RFC822\nX-PART: P\n",
        "SHALLOW\nSUBJECT: IN\nDEEP\nA\u{308}.PDF\n",
    );
}

#[test]
fn what_nests_too_deeply_is_not_read() {
    let mut root = part(Kind::Text, "", b"core", vec![]);
    for _ in 0..index_extract::limits::DEPTH_MAX + 1 {
        root = part(Kind::Multipart, "", b"", vec![root]);
    }
    check(&root, "", "");
}
