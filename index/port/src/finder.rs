//! `Finder` over the index, and over no index.

use crate::places::Indexes;
use crate::queue::Queue;
use engine_service::{Content, Contents, Finder, Found, TextQuery, TooMuch};
use engine_types::{AccountId, EmailId};
use index_query::{Key, Query, QueryError, Source, search};
use index_store::{AccountReader, IndexError, SearchStore};
use index_text::FoldedText;
use raft_api::ShardId;
use std::sync::Arc;

/// A message's text as it is searched: its trace is part of its header.
pub fn folded(content: &Content) -> FoldedText {
    index_feed::folded_text(&content.facts, &content.trace, &content.message.to_bytes())
}

pub struct Searcher {
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) queue: Arc<Queue>,
}

/// Looks into each message: for a node without an index, and to hold an index against.
pub struct Scanner;

impl Finder for Searcher {
    fn find(
        &self,
        shard: ShardId,
        account: AccountId,
        query: &TextQuery,
        messages: &[EmailId],
        contents: &dyn Contents,
    ) -> Result<Found, TooMuch> {
        let Some(index) = self.indexes.by_shard.get(&shard) else {
            return Scanner.find(shard, account, query, messages, contents);
        };
        let store = index.store();
        let (reader, unreadable) = match store.reader(account) {
            Ok(reader) => (reader, None),
            Err(error) => (AccountReader::default(), Some(error)),
        };
        let (found, mut damaged) = ask(&reader, query, messages, contents)?;
        damaged.extend(unreadable);
        damaged.extend(reader.damaged);
        // The answer is whole all the same. The next ones shall be fast again.
        for error in damaged {
            index.lost(shard, &error);
            give_up(shard, &store, &error);
            self.queue.ask_whole(shard, false);
        }
        Ok(found)
    }
}

impl Finder for Scanner {
    fn find(
        &self,
        _: ShardId,
        _: AccountId,
        query: &TextQuery,
        messages: &[EmailId],
        contents: &dyn Contents,
    ) -> Result<Found, TooMuch> {
        Ok(ask(&AccountReader::default(), query, messages, contents)?.0)
    }
}

/// What is damaged is left out, if it can be told.
pub(crate) fn give_up(shard: ShardId, store: &SearchStore, error: &IndexError) {
    if let IndexError::Damaged { run, .. } = error
        && let Err(error) = store.give_up(*run)
    {
        tracing::error!(shard = shard.0, %error, "the search index is damaged still");
    }
}

fn ask(
    reader: &AccountReader,
    query: &TextQuery,
    messages: &[EmailId],
    contents: &dyn Contents,
) -> Result<(Found, Vec<IndexError>), TooMuch> {
    let too_much = |error: QueryError| TooMuch(error.to_string());
    let query = Query::new(key(query).map_err(too_much)?).map_err(too_much)?;
    let answer = search(reader, &query, messages, &Texts(contents));
    let found = Found {
        emails: answer.found,
        scanned: answer.scanned,
        unread: answer.unread.len(),
    };
    Ok((found, answer.damaged))
}

struct Texts<'a>(&'a dyn Contents);

impl Source for Texts<'_> {
    fn text(&self, id: EmailId) -> Option<FoldedText> {
        Some(folded(&self.0.content(id)?))
    }
}

fn key(query: &TextQuery) -> Result<Key, QueryError> {
    let all = |queries: &[TextQuery]| queries.iter().map(key).collect::<Result<Vec<Key>, _>>();
    Ok(match query {
        TextQuery::And(queries) => Key::And(all(queries)?),
        TextQuery::Or(queries) => Key::Or(all(queries)?),
        TextQuery::Not(query) => Key::Not(Box::new(key(query)?)),
        TextQuery::Text(value) => Key::text(value)?,
        TextQuery::Body(value) => Key::body(value)?,
        TextQuery::Header { name, value } => Key::header(name, value)?,
    })
}
