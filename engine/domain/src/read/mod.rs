//! Typed reads of the rows, for services: mail shards and the directory.

mod directory;
mod follow;
mod mail;

pub(crate) use directory::CONTROL;
pub use directory::{
    AddressRow, DirectoryAccount, address, addresses, directory_account, directory_accounts,
    domain_served, login,
};
pub use follow::{MessageMoved, each_of_account, emails, message_moved, next_account};
pub use mail::{
    AccountRow, BodyAt, MailboxRow, MessageRow, account, changes, first_unseen, keywords, mailbox,
    mailbox_by_name, mailboxes, messages, subscriptions, uids,
};
pub(crate) use mail::{each_message, record_flags};
