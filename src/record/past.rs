//! What was asked before, put together again from the entries of a ledger: a request, its
//! body, and what came of it. Part of ⑧ record. It only reads, also while a gate is writing.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use uuid::Uuid;

use super::asked::{Grounds, What, Who};
use super::cut::is_cut;
use super::disk::ENTRIES;
use super::entry::{Body, Entry, Event};
use super::frame::{Frames, Next};

/// How many requests wait for what came of them, at most; a gate serves fewer at a time.
const MOST_WAITING: usize = 10_000;

/// A request of the past.
#[derive(Debug, Clone)]
pub struct Past {
    /// The record's id.
    pub id: Uuid,
    /// When it came.
    pub time: Timestamp,
    /// Who asked.
    pub who: Who,
    /// What was asked.
    pub what: What,
    /// What the rules of that time said, if they were asked.
    pub grounds: Option<Grounds>,
    /// The hold that it waited for, or went through.
    pub hold: Option<String>,
    /// Its masked body, if that was kept.
    pub body: Option<Body>,
    /// The masked object that came of it, if that was kept.
    pub result: Option<Body>,
    /// The HTTP status that it was answered with.
    pub status: Option<u16>,
    /// Why it was refused, if it was.
    pub refused: Option<String>,
}

impl Past {
    /// Whether its path or query is only the beginning of what was asked.
    pub fn is_cut(&self) -> bool {
        is_cut(&self.what.path) || is_cut(&self.what.query)
    }
}

/// Puts requests together from entries, in the order of the ledger.
///
/// A request that waited for a human came many times; it is told once, best by the one that
/// went through. What the gate itself asked, to judge a write or to try it again, is left out.
#[derive(Debug, Default)]
pub struct Together {
    /// Writes whose outcome is still to come.
    running: HashMap<Uuid, Past>,
    order: VecDeque<Uuid>,
    /// Requests that were told to wait, by their hold.
    held: HashMap<String, Past>,
}

impl Together {
    /// Takes the next entry; answers the request that is complete now, if one is.
    pub fn take(&mut self, entry: Entry) -> Option<Past> {
        let Entry { id, time, event } = entry;
        match event {
            Event::Intent(intent) if intent.of.is_none() => {
                let hold = intent.grounds.approval.as_ref();
                let past = Past {
                    id,
                    time,
                    who: intent.who,
                    what: intent.what,
                    hold: hold.map(|approval| approval.hold.clone()),
                    grounds: Some(intent.grounds),
                    body: intent.body,
                    result: None,
                    status: None,
                    refused: None,
                };
                if let Some(hold) = &past.hold {
                    self.held.remove(hold);
                }
                match past.what.verb.as_str() {
                    "update" | "patch" => self.wait(past),
                    _ => Some(past),
                }
            }
            Event::Outcome(outcome) => {
                let mut past = self.running.remove(&id)?;
                let success = outcome.status.is_some_and(|status| status / 100 == 2);
                past.status = outcome.status;
                past.result = outcome.response.filter(|_| success);
                past.refused = outcome.failure;
                Some(past)
            }
            Event::Refused(refused) => {
                let past = Past {
                    id,
                    time,
                    who: refused.who,
                    what: refused.what,
                    grounds: refused.grounds,
                    hold: refused.hold,
                    body: None,
                    result: None,
                    status: refused.status,
                    refused: refused.reason,
                };
                match past.hold.clone() {
                    Some(hold) if self.held.len() < MOST_WAITING => {
                        self.held.insert(hold, past);
                        None
                    }
                    _ => Some(past),
                }
            }
            Event::Intent(_) | Event::Hold(_) | Event::System(_) => None,
        }
    }

    /// Those that nothing more is known of.
    pub fn rest(self) -> impl Iterator<Item = Past> {
        let mut rest: Vec<Past> = self.running.into_values().collect();
        rest.extend(self.held.into_values());
        rest.sort_by_key(|past| (past.time, past.id));
        rest.into_iter()
    }

    /// Answers the oldest one if too many wait.
    fn wait(&mut self, past: Past) -> Option<Past> {
        self.order.push_back(past.id);
        self.running.insert(past.id, past);
        while self.order.len() > MOST_WAITING {
            let oldest = self.order.pop_front()?;
            if let Some(past) = self.running.remove(&oldest) {
                return Some(past);
            }
        }
        None
    }
}

/// The entries of a ledger's directory, in order. Not verified: `verify` does that.
pub struct Entries {
    frames: Frames<File>,
    ended: bool,
}

/// Opens a ledger's directory to read its entries.
///
/// # Errors
/// What the file system reports.
pub fn entries(dir: &Path) -> io::Result<Entries> {
    let file = File::open(dir.join(ENTRIES))?;
    Ok(Entries {
        frames: Frames::new(file),
        ended: false,
    })
}

impl Iterator for Entries {
    /// `InvalidData` for an entry that cannot be read, and for a last one that is not whole.
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.frames.advance();
        self.ended = !matches!(next, Ok(Next::Entry));
        match next {
            Ok(Next::Entry) => Some(Entry::parse(self.frames.entry()).map_err(io::Error::from)),
            Ok(Next::End) => None,
            Ok(Next::Broken) => Some(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the ledger's last entry is not whole",
            ))),
            Err(error) => Some(Err(error)),
        }
    }
}
