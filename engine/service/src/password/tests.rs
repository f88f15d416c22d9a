//! Known answers: published vectors, and hashes that libxcrypt, OpenSSL and Dovecot 2.3's doveadm made.

use super::*;

#[track_caller]
fn check(stored: &str, password: &str, expect: &str) {
    let shown = match parse(stored) {
        Err(error) => format!("{error:?}"),
        Ok(credential) => verify(Some(&credential), password.as_bytes()).to_string(),
    };
    assert_eq!(shown, expect, "{stored}");
}

/// Its password verifies, another does not, and it is replaced at the next good login.
#[track_caller]
fn foreign(stored: &str, password: &str) {
    check(stored, password, "true");
    check(stored, &format!("{password}x"), "false");
    assert!(parse(stored).unwrap().is_foreign(), "{stored}");
}

#[test]
fn nobody_is_let_in_without_a_credential() {
    assert!(!verify(None, b""));
    assert!(!verify(None, b"demo"));
}

#[test]
fn what_we_make_we_verify() {
    let stored = hash("demo").unwrap();
    assert!(stored.starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"));
    check(&stored, "demo", "true");
    check(&stored, "Demo", "false");
    check(&stored, "", "false");
    assert!(!parse(&stored).unwrap().is_foreign());
    assert_ne!(stored, hash("demo").unwrap(), "every hash has its own salt");
}

/// Drepper, "Unix crypt using SHA-256 and SHA-512": the specification's own vectors.
#[test]
fn sha_crypt() {
    foreign(
        "{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        "Hello world!",
    );
    foreign(
        "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        "Hello world!",
    );
    foreign(
        "{SHA256-CRYPT}$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
        "Hello world!",
    );
    foreign(
        "{sha512-crypt}$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
        "Hello world!",
    );
    foreign(
        "{SHA256-CRYPT}$5$rounds=77777$short$JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/",
        "we have a short salt string but not a short password",
    );
    let wrong_kind = "{SHA512-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";
    check(wrong_kind, "Hello world!", "Malformed(\"SHA512-CRYPT\")");
    let salt_alone = "{SHA512-CRYPT}$6$saltstring";
    check(salt_alone, "", "Malformed(\"SHA512-CRYPT\")");
    let endless = "{SHA512-CRYPT}$6$rounds=999999999$saltstring$x";
    check(endless, "", "TooCostly");
}

/// The vectors of Openwall's crypt_blowfish (salts of one letter repeated are theirs), and one of doveadm's.
#[test]
fn bcrypt() {
    foreign(
        "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "U*U",
    );
    foreign(
        "{BLF-CRYPT}$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
        "U*U*U",
    );
    foreign(
        "{BLF-CRYPT}$2y$05$.SMo9c.DKIYwy188OWNSMeH67oVjfXef.wpYvaqNPRNWNy.IVgXzS",
        "demo",
    );
    check(
        "{BLF-CRYPT}$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "U*U",
        "Malformed(\"BLF-CRYPT\")",
    );
    check(
        "{BLF-CRYPT}$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "U*U",
        "TooCostly",
    );
    check("{BLF-CRYPT}$2a$05$é", "", "Malformed(\"BLF-CRYPT\")");
}

/// RFC 6070 §2, in Dovecot's form; the last is doveadm's own.
#[test]
fn pbkdf2() {
    foreign(
        "{PBKDF2}$1$salt$1$0c60c80f961f0e71f3a9b524af6012062fe037a6",
        "password",
    );
    foreign(
        "{PBKDF2}$1$salt$4096$4b007901b765489abead49d926f721d065a429c1",
        "password",
    );
    foreign(
        "{PBKDF2}$1$kUvz0xsJJHDyWx0y$5000$cea29d6b1b5f9c429466fe27ec86adc0be728277",
        "demo",
    );
    check(
        "{PBKDF2}$1$salt$0$0c60c80f961f0e71f3a9b524af6012062fe037a6",
        "password",
        "Malformed(\"PBKDF2\")",
    );
    check(
        "{PBKDF2}$1$salt$4294967295$0c60c80f961f0e71f3a9b524af6012062fe037a6",
        "password",
        "TooCostly",
    );
    check(
        "{PBKDF2}$1$salt$1$0c60",
        "password",
        "Malformed(\"PBKDF2\")",
    );
    check("{PBKDF2}$1$salt$1$éé", "password", "Malformed(\"PBKDF2\")");
}

/// `openssl passwd -1`, and one of doveadm's.
#[test]
fn md5_crypt() {
    foreign("{MD5-CRYPT}$1$saltstri$ciR2otLVXV8I9sOPWbLTc1", "");
    foreign("{MD5-CRYPT}$1$saltstri$HP4ANLG0Ln2mcWmFUeETo.", "a");
    foreign("{MD5-CRYPT}$1$saltstri$6Q0le3/RwEDqRotJ.eSmI1", "abc");
    foreign(
        "{MD5-CRYPT}$1$saltstri$f4UcZCz4FLntWkM1lhlO61",
        "a longer pass phrase of more than sixteen octets",
    );
    foreign(
        "{MD5-CRYPT}$1$4MCSdlbk$lML.Hnvo85pH3dja7akzt.",
        "пароль и ещё",
    );
    check(
        "{MD5-CRYPT}$1$saltstri$short",
        "",
        "Malformed(\"MD5-CRYPT\")",
    );
    check("{MD5-CRYPT}$1$saltstri$", "", "Malformed(\"MD5-CRYPT\")");
}

/// doveadm's, and one of OpenSSL's with `salt` hashed and stored behind.
#[test]
fn digests() {
    foreign("{SHA}ieSV55Qc+eQOaYDRSha/AjzNTJE=", "demo");
    foreign("{SSHA}jYEUThP1Lxpn3Mg1HbnrplIH0ZfyWW08", "demo");
    foreign(
        "{SHA256}KpdRbDVLaISM29j1SiJqClWyHtE44getbFy7nACqWuo=",
        "demo",
    );
    foreign(
        "{SSHA256}tGLHb2VrVRx8FU0n+XFYx4DYWyCac39n7wRkkbKyTHpk5PbD",
        "demo",
    );
    foreign(
        "{SHA512}JsZpzQgUrEDlModSshxKpkUNFileTuwwNWoGqRHCOYOq6+EtXaOO7r/BshO+ZQSY34QZGU1aJsfgpQrxVoU8eQ==",
        "demo",
    );
    foreign(
        "{ssha512}PRrvomWieyvBQdmbEKxkdxJv5Vnu5QDLb7GfcmX7EmbqcJ2Ok62m9v+FkyWs7msdivnZJglPw0XLKeZstQpNTXNhbHQ=",
        "demo",
    );
    check(
        "{SSHA}ieSV55Qc+eQOaYDRSha/AjzNTJE=",
        "demo",
        "Malformed(\"SSHA\")",
    );
    check("{SHA256}!", "demo", "Malformed(\"SHA256\")");
    check("{SHA256}YWJj", "demo", "Malformed(\"SHA256\")");
}

#[test]
fn argon2_of_other_servers() {
    foreign(
        "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$zNkJtOnWdE2G/oFZgFZLsg$gqZ8EXEae3iKdI4ESVudADgjMglaibH9tc2tXPwLhS8",
        "demo",
    );
    check(
        "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1",
        "demo",
        "Malformed(\"ARGON2ID\")",
    );
    check(
        "{ARGON2ID}$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "demo",
        "TooCostly",
    );
}

#[test]
fn what_cannot_be_verified_is_refused() {
    check("demo", "demo", "NoScheme");
    check("", "", "NoScheme");
    check("{SHA512", "demo", "NoScheme");
    check("{PLAIN}demo", "demo", "UnknownScheme(\"PLAIN\")");
    check("{CRYPT}$6$a$b", "demo", "UnknownScheme(\"CRYPT\")");
    check("{}demo", "demo", "UnknownScheme(\"\")");
    let too_long = format!("{{SHA256}}{}", "A".repeat(2_000));
    check(&too_long, "demo", "NoScheme");
    let said = parse("{plain}demo").unwrap_err().to_string();
    assert!(said.starts_with("password scheme {PLAIN} is not supported: use ARGON2ID, "));
    assert!(said.ends_with("PBKDF2 or MD5-CRYPT"), "{said}");
}
