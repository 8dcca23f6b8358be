//! Part of ⑨ answer: an answer on its way from the cluster to the agent, masked piece by
//! piece, and packed where that was decided. It never waits for more than the next piece, and
//! holds no more than one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use hyper::body::{Body, Incoming};

use crate::forward::broken;
use crate::mask::{Masked, Masker, Packer};
use crate::record::Record;
use crate::refusal::Refusal;

pub(super) struct Flow {
    /// Masked before it was decided that the answer flows.
    pub first: Masked,
    pub upstream: Incoming,
    pub masker: Masker,
    pub packer: Option<Packer>,
}

impl Flow {
    /// The next bytes for the agent; none once the masker has seen a whole document.
    ///
    /// # Errors
    /// The answer breaks off, or cannot be masked.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        record: &mut Record,
    ) -> Poll<Option<Result<Masked, Refusal>>> {
        loop {
            let first = std::mem::take(&mut self.first);
            let masked = match first.has_remaining() {
                true => first,
                false => match ready!(self.poll_masked(cx)) {
                    Some(Ok(masked)) => {
                        record.sent(masked.as_bytes());
                        masked
                    }
                    end => return Poll::Ready(end),
                },
            };
            let out = match &mut self.packer {
                Some(packer) => packer.feed(&masked),
                None => Ok(masked),
            };
            if out.as_ref().map_or(true, Buf::has_remaining) {
                return Poll::Ready(Some(out));
            }
        }
    }

    /// What is left after the end: that of a packed answer.
    ///
    /// # Errors
    /// [`Refusal::Internal`] should the packer fail.
    pub fn rest(self) -> Result<Masked, Refusal> {
        self.packer.map_or(Ok(Masked::default()), Packer::finish)
    }

    /// The next masked bytes; never none of them.
    fn poll_masked(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Masked, Refusal>>> {
        loop {
            let masked = match ready!(Pin::new(&mut self.upstream).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.masker.feed(data),
                    Err(_) => continue, // trailers
                },
                Some(Err(error)) => Err(broken("upstream", &error)),
                None => match self.masker.finish() {
                    Ok(masked) if !masked.has_remaining() => return Poll::Ready(None),
                    finished => finished,
                },
            };
            if masked.as_ref().map_or(true, Buf::has_remaining) {
                return Poll::Ready(Some(masked));
            }
        }
    }
}
