//! Requests of the past, for tools: from the humans' door, or offline from a ledger's
//! directory. Reads page by page; what cannot be read is counted.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::client::{Humans, HumansIfGiven};
use super::rules::unusable;
use crate::output::items;
use crate::record::Blobs;
use crate::record::entry::{Body, Entry};
use crate::record::past::{self, Past, Together};

/// Entries that are read at once from a directory.
const PAGE: usize = 500;
/// How many entries may stand between a request and its outcome, when one is looked for.
const PATIENCE: usize = 20_000;

/// Where records are.
#[derive(Debug, Args)]
pub struct Records {
    /// A ledger's directory (or a copy of it), to read offline; long bodies are looked for in
    /// `blobs` beside it
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    humans: HumansIfGiven,
}

/// One of the two places.
enum Place<'a> {
    Disk(&'a Path),
    Door(Humans),
}

/// A request of the past, and what is kept of it.
#[derive(Debug)]
pub struct Told {
    /// The request.
    pub past: Past,
    /// Its masked body.
    pub body: Option<Bytes>,
    /// The masked object that came of it.
    pub result: Option<Bytes>,
}

/// Reads requests one after the other.
pub struct Reader<'a> {
    place: Place<'a>,
    pages: Pages,
    together: Option<Together>,
    ready: VecDeque<Past>,
    since: Timestamp,
    /// Entries that could not be read.
    pub unreadable: u64,
}

type Query = (&'static str, String);

enum Pages {
    /// What to ask for next.
    Door(Option<Query>),
    Disk(past::Entries),
}

impl Records {
    /// Requests that came since then, in the order in which they ended.
    ///
    /// # Errors
    /// If no place was given, or it cannot be read.
    pub fn since(&self, since: Timestamp) -> anyhow::Result<Reader<'_>> {
        let query = ("since", since.to_string());
        Reader::open(self.place()?, since, Some(query))
    }

    /// The request with this record id.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub async fn find(&self, id: &str) -> anyhow::Result<Told> {
        let Ok(id) = id.parse::<uuid::Uuid>() else {
            let sentence = "the id of a record looks like 01a210f3-0350-70e8-bb3d-49f5c8da39a4";
            return Err(unusable(sentence));
        };
        let place = self.place()?;
        let query = match &place {
            Place::Disk(_) => None,
            Place::Door(humans) => Some(position(humans, id).await?),
        };
        let mut reader = Reader::open(place, Timestamp::MIN, query)?;
        let (mut together, mut begun, mut read) = (Together::default(), false, 0);
        'pages: while let Some(page) = reader.page().await? {
            for entry in page.into_iter().flatten() {
                read += usize::from(begun);
                if entry.id == id {
                    begun = true;
                    if let Some(past) = together.take(entry) {
                        return reader.place.told(past).await;
                    }
                }
                if read > PATIENCE {
                    break 'pages;
                }
            }
        }
        match together.rest().next() {
            Some(past) => reader.place.told(past).await,
            None if begun => bail!(
                "record {id} is no request of an agent: the gate asked this itself, to judge one"
            ),
            None => bail!("there is no record {id}"),
        }
    }

    fn place(&self) -> anyhow::Result<Place<'_>> {
        match (&self.ledger, self.humans.door()) {
            (Some(dir), _) => Ok(Place::Disk(dir)),
            (None, Some(humans)) => Ok(Place::Door(humans)),
            (None, None) => Err(unusable(
                "where are the records? give --ledger DIR, or --url and --token-file of the \
                 humans' door",
            )),
        }
    }
}

/// Where the first entry of a record stands.
async fn position(humans: &Humans, id: uuid::Uuid) -> anyhow::Result<Query> {
    let query = [("id", Some(id.to_string()))];
    let found = humans.get("/api/v1/records", &query).await?;
    let first = items(&found).first();
    match first.and_then(|row| row.get("position")?.as_u64()) {
        Some(position) => Ok(("from", position.to_string())),
        None => bail!("there is no record {id}"),
    }
}

impl Place<'_> {
    async fn told(&self, past: Past) -> anyhow::Result<Told> {
        let body = self.bytes(past.body.as_ref()).await?;
        let result = self.bytes(past.result.as_ref()).await?;
        Ok(Told { past, body, result })
    }

    /// None if they are not kept, or not there any more.
    async fn bytes(&self, body: Option<&Body>) -> anyhow::Result<Option<Bytes>> {
        let Some(body) = body else { return Ok(None) };
        if let Some(json) = &body.json {
            return Ok(Some(Bytes::copy_from_slice(json.get().as_bytes())));
        }
        if !body.blob {
            return Ok(None);
        }
        match self {
            Self::Disk(dir) => {
                let beside = dir.parent().unwrap_or(dir).join("blobs");
                let read = Blobs::there(&beside).read(&body.sha256);
                Ok(read.ok().map(Bytes::from))
            }
            Self::Door(humans) => {
                let path = format!("/api/v1/bodies/{}", body.sha256);
                let found = humans.get(&path, &[]).await?;
                Ok(found.get("body").map(|body| body.to_string().into()))
            }
        }
    }
}

impl<'a> Reader<'a> {
    fn open(place: Place<'a>, since: Timestamp, query: Option<Query>) -> anyhow::Result<Self> {
        let pages = match &place {
            Place::Disk(dir) => Pages::Disk(
                past::entries(dir)
                    .with_context(|| format!("cannot read a ledger in {}", dir.display()))?,
            ),
            Place::Door(_) => Pages::Door(query),
        };
        Ok(Self {
            place,
            pages,
            together: Some(Together::default()),
            ready: VecDeque::new(),
            since,
            unreadable: 0,
        })
    }

    /// The next request; none at the end.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub async fn next(&mut self) -> anyhow::Result<Option<Told>> {
        loop {
            while let Some(past) = self.ready.pop_front() {
                if past.time >= self.since {
                    return self.place.told(past).await.map(Some);
                }
            }
            let page = self.page().await?;
            let Some(together) = &mut self.together else {
                return Ok(None);
            };
            match page {
                Some(page) => {
                    for entry in page {
                        match entry {
                            Ok(entry) => self.ready.extend(together.take(entry)),
                            Err(()) => self.unreadable += 1,
                        }
                    }
                }
                None => {
                    let rest = self.together.take();
                    self.ready.extend(rest.into_iter().flat_map(Together::rest));
                }
            }
        }
    }

    async fn page(&mut self) -> anyhow::Result<Option<Vec<Result<Entry, ()>>>> {
        match (&mut self.pages, &self.place) {
            (Pages::Disk(entries), _) => {
                let page: Vec<_> = entries
                    .take(PAGE)
                    .map(|entry| entry.map_err(|_| ()))
                    .collect();
                Ok((!page.is_empty()).then_some(page))
            }
            (Pages::Door(query), Place::Door(humans)) => {
                let Some((name, value)) = query.take() else {
                    return Ok(None);
                };
                let asked = [(name, Some(value))];
                let found = humans.get("/api/v1/entries", &asked).await?;
                let next = found.get("next").and_then(Value::as_u64);
                *query = next.map(|next| ("from", next.to_string()));
                let entry = |item: &Value| {
                    let text = item.get("entry").map(Value::to_string);
                    Entry::parse(text.unwrap_or_default().as_bytes()).map_err(|_| ())
                };
                let page: Vec<_> = items(&found).iter().map(entry).collect();
                Ok((!page.is_empty()).then_some(page))
            }
            (Pages::Door(_), Place::Disk(_)) => Ok(None),
        }
    }
}
