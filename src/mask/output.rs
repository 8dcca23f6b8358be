//! Part of ⑦ mask: what a process in a container writes, masked while it passes.
//!
//! It is masked line by line like a log, but somebody may wait for what is no line: a shell
//! asks, and then waits for an answer. The caller, who has the clock, says when nothing has
//! come for a moment; then as much is shown as cannot be a part of anything to hide. What is
//! carried, and in which frames, this part does not know.

use std::fmt;

use bytes::Bytes;

use super::lines::Lines;
use super::plan::{Answer, Plan};
use super::terminal::Source;
use super::{Masked, Masker, Mode, Summary, unmaskable};
use crate::refusal::Refusal;

/// Masks one channel of output of a process, standard output or standard error, for a
/// terminal or not. Each channel needs one of its own: what was written to one says nothing
/// of the other.
///
/// - A line goes out when it is whole; `\n`, `\r\n` and `\r` alone end one.
/// - Sequences that a terminal obeys (ECMA-48: colours, cursor, titles) stay where they are.
///   Detectors look past them; what they find is hidden with the sequences in it. What a
///   program draws all over the screen, piece by piece, nobody puts together.
/// - Bytes need not be UTF-8. They come out as they are where nothing is found, and then any
///   binary data does, too; where something is found, fewer or more bytes come out.
/// - At most 1 MiB is held back, beside the bytes that are fed.
///
/// After an error it masks nothing more.
pub struct Output(Masker);

impl Output {
    /// A masker for one channel of the output of what was asked for.
    ///
    /// # Errors
    /// [`Refusal::Unmaskable`] if it was no exec and no attach.
    pub fn new(plan: &Plan) -> Result<Self, Refusal> {
        if !matches!(plan.answer, Answer::Output) {
            let inside = "neither exec nor attach".to_owned();
            return Err(unmaskable(
                "this request has no output of a process",
                inside,
            ));
        }
        let lines = Lines::new(Source::Process, plan.masking.clone());
        Ok(Self(Masker {
            mode: Mode::Lines(Box::new(lines)),
            summary: Summary::default(),
            content_type: None,
            fed: 0,
        }))
    }

    /// Takes the next bytes of the channel, however they are cut, and returns those that may
    /// go out.
    ///
    /// # Errors
    /// [`Refusal::Unmaskable`] if something to hide is longer than may be held back. What was
    /// returned before may have gone out; nothing of these bytes does, and the stream must be
    /// cut.
    pub fn feed(&mut self, bytes: Bytes) -> Result<Masked, Refusal> {
        self.0.feed(bytes)
    }

    /// The process has written nothing for a moment: returns what may be shown of a line that
    /// has not ended, such as `Password: `. It can be called at any time, and often; what may
    /// be the first part of something to hide is not shown, however long nothing comes.
    ///
    /// That is: the last word, unless it is the end of a question; all of a value beside a
    /// telling name, of a number in groups, and of a private key; a sequence that is not
    /// whole. What is shown is known as what stands before the bytes to come.
    pub fn idle(&mut self) -> Masked {
        match &mut self.0.mode {
            Mode::Lines(lines) => Masked(lines.pause()),
            _ => Masked::default(),
        }
    }

    /// The channel is closed: returns what is left.
    ///
    /// # Errors
    /// [`Refusal::Unmaskable`] after an error.
    pub fn finish(&mut self) -> Result<Masked, Refusal> {
        self.0.finish()
    }

    /// What was masked so far, for the record; `output` is its path.
    pub fn summary(&self) -> Summary {
        self.0.summary()
    }
}

/// Says how far it is; what waits for a decision may be a value.
impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Output")
            .field("fed", &self.0.fed)
            .finish_non_exhaustive()
    }
}
