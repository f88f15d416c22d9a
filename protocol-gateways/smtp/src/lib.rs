//! gateway-smtp
