//! gateway-session
