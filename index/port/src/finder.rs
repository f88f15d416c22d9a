//! `Finder` over the index, and over no index.

use crate::limits::FACETED_MAX;
use crate::places::Indexes;
use crate::queue::Queue;
use engine_service::{
    Content, Contents, Facet, FacetKind, Finder, Found, RankedEmail, RankedEmails, RankedQuery,
    Snippet, TextQuery, TooMuch,
};
use engine_types::{AccountId, EmailId};
use index_query::{Key, Query, QueryError, Source, search};
use index_rank::Language;
use index_rank::limits::SNIPPET_LOOK_BYTES;
use index_store::{AccountReader, IndexError, SearchStore};
use index_text::FoldedText;
use raft_api::ShardId;
use std::collections::HashMap;
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
        self.answer(shard, account, |reader| {
            ask(reader, query, messages, contents)
        })
    }

    fn rank(
        &self,
        shard: ShardId,
        account: AccountId,
        query: &RankedQuery,
        messages: &[EmailId],
        contents: &dyn Contents,
    ) -> Result<RankedEmails, TooMuch> {
        self.answer(shard, account, |reader| {
            ask_ranked(reader, query, messages, contents)
        })
    }
}

impl Searcher {
    /// From the account's index, or from none where there is none.
    fn answer<T>(
        &self,
        shard: ShardId,
        account: AccountId,
        ask: impl FnOnce(&AccountReader) -> Result<(T, Vec<IndexError>), TooMuch>,
    ) -> Result<T, TooMuch> {
        let Some(index) = self.indexes.by_shard.get(&shard) else {
            return Ok(ask(&AccountReader::default())?.0);
        };
        let store = index.store();
        let (reader, unreadable) = match store.reader(account) {
            Ok(reader) => (reader, None),
            Err(error) => (AccountReader::default(), Some(error)),
        };
        let (found, mut damaged) = ask(&reader)?;
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

    fn rank(
        &self,
        _: ShardId,
        _: AccountId,
        query: &RankedQuery,
        messages: &[EmailId],
        contents: &dyn Contents,
    ) -> Result<RankedEmails, TooMuch> {
        Ok(ask_ranked(&AccountReader::default(), query, messages, contents)?.0)
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

fn ask_ranked(
    reader: &AccountReader,
    query: &RankedQuery,
    messages: &[EmailId],
    contents: &dyn Contents,
) -> Result<(RankedEmails, Vec<IndexError>), TooMuch> {
    let named = query.languages.iter();
    let mut languages: Vec<Language> = named.filter_map(|code| Language::of_code(code)).collect();
    if languages.is_empty() {
        languages.extend(Language::USUAL);
    }
    let typed = index_rank::RankedQuery::new(&query.text, &languages)
        .map_err(|error| TooMuch(error.to_string()))?;
    let hits_max = query.limit.max(FACETED_MAX);
    let ranked = index_rank::rank(reader, &typed, messages, &Texts(contents), hits_max);
    let best = ranked.hits.iter().take(query.limit);
    let best = best.map(|hit| RankedEmail {
        email: hit.id,
        score: hit.score,
        snippet: snippet(&typed, hit.id, contents),
    });
    let faceted = if query.facets { FACETED_MAX } else { 0 };
    let counted = ranked.hits.iter().take(faceted);
    let counted: Vec<EmailId> = counted.map(|hit| hit.id).collect();
    let found = RankedEmails {
        best: best.collect(),
        count: ranked.found.len(),
        facets: facets(&counted, contents),
        faceted: counted.len(),
        scanned: ranked.scanned,
        unread: ranked.unread.len(),
    };
    Ok((found, ranked.damaged))
}

fn snippet(query: &index_rank::RankedQuery, email: EmailId, contents: &dyn Contents) -> Snippet {
    let Some(content) = contents.content(email) else {
        return Snippet::default();
    };
    let octets = content.message.to_bytes();
    let text = index_feed::body_text(&content.facts, &octets, SNIPPET_LOOK_BYTES);
    let index_rank::Snippet { text, marks } = index_rank::snippet(query, &text);
    Snippet { text, marks }
}

fn facets(emails: &[EmailId], contents: &dyn Contents) -> Vec<Facet> {
    let labels: HashMap<EmailId, Vec<(FacetKind, String)>> = emails
        .iter()
        .map(|email| (*email, contents.labels(*email)))
        .collect();
    let kinds = [
        FacetKind::Mailbox,
        FacetKind::Sender,
        FacetKind::Year,
        FacetKind::HasAttachment,
    ];
    let of_kind = |kind: FacetKind| {
        let own = |email| {
            let all = labels.get(&email).into_iter().flatten();
            let own = all.filter(|(of, _)| *of == kind);
            own.map(|(_, label)| label.clone()).collect()
        };
        let counted = index_rank::facets(emails, own);
        counted.into_iter().map(move |facet| Facet {
            kind,
            label: facet.label,
            messages: facet.messages,
        })
    };
    kinds.into_iter().flat_map(of_kind).collect()
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
