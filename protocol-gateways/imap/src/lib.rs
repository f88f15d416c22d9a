//! gateway-imap
