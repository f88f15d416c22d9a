//! From a key to the messages of a section that may have its needle, by the tokens that a text with the needle must have.

use crate::limits::{FEW, FEW_FOR_SHORT, PIECES_MAX};
use crate::tree::{Place, TextKey};
use index_store::{Bits, IndexError, Section};
use index_text::{Area, Kind, Piece, is_decisive, pieces};

/// The areas of a head.
const HEAD: [Area; 6] = [
    Area::Subject,
    Area::From,
    Area::To,
    Area::Cc,
    Area::Bcc,
    Area::Head,
];

/// A message is found if it is certain, or in one of the others and that half of its text has the needle.
pub struct Candidates {
    pub certain: Bits,
    pub heads: Bits,
    pub bodies: Bits,
}

impl Candidates {
    /// Without asking the index.
    pub fn all(key: &TextKey, within: &Bits) -> Self {
        let none = || Bits::none(within.length());
        let (head, body) = match key.place {
            Place::Text => (true, true),
            Place::Body => (false, true),
            Place::Field(_) => (true, false),
        };
        Self {
            certain: none(),
            heads: if head { within.clone() } else { none() },
            bodies: if body { within.clone() } else { none() },
        }
    }

    pub fn any(&self) -> Bits {
        let mut any = self.certain.clone();
        any.union(&self.heads);
        any.union(&self.bodies);
        any
    }
}

/// Among `within`.
pub fn candidates(
    section: &Section,
    key: &TextKey,
    within: &Bits,
) -> Result<Candidates, IndexError> {
    let none = Bits::none(section.messages());
    let mut found = Candidates {
        certain: none.clone(),
        heads: none.clone(),
        bodies: none,
    };
    let needle = Needle::new(&key.needle);
    match &key.place {
        Place::Text | Place::Body if key.needle.is_empty() => found.certain = within.clone(),
        Place::Field(name) if key.needle.is_empty() => found.heads = named(section, name, within)?,
        Place::Field(name) => {
            let area = Area::of_field(name);
            (found.certain, found.heads) = needle.in_areas(section, &[area], within)?;
            if area == Area::Head {
                // Of which field is not known.
                found.heads.union(&found.certain);
                found.certain = Bits::none(section.messages());
            }
        }
        Place::Body => {
            (found.certain, found.bodies) = needle.in_areas(section, &[Area::Body], within)?
        }
        Place::Text => in_both(section, &needle, within, &mut found)?,
    }
    if !matches!(key.place, Place::Field(_)) {
        let mut opaque = section.opaque()?;
        opaque.intersect(within);
        opaque.subtract(&found.certain);
        found.bodies.union(&opaque);
    }
    Ok(found)
}

/// What one half is certain of, the other is not asked.
fn in_both(
    section: &Section,
    needle: &Needle<'_>,
    within: &Bits,
    found: &mut Candidates,
) -> Result<(), IndexError> {
    let halves: [&[Area]; 2] = [&HEAD, &[Area::Body]];
    let head_first = needle.is_decisive_in(Area::Head);
    for at in if head_first { [0, 1] } else { [1, 0] } {
        let mut left = within.clone();
        left.subtract(&found.certain);
        let (certain, uncertain) = match needle.is_short() && left.count() <= FEW_FOR_SHORT {
            true => (Bits::none(section.messages()), left),
            false => needle.in_areas(section, halves[at], &left)?,
        };
        found.certain.union(&certain);
        match at {
            0 => found.heads = uncertain,
            _ => found.bodies = uncertain,
        }
    }
    found.heads.subtract(&found.certain);
    found.bodies.subtract(&found.certain);
    Ok(())
}

/// Messages that may have a field of this name. The names of all fields are in one area, whole words between other things.
fn named(section: &Section, name: &str, within: &Bits) -> Result<Bits, IndexError> {
    let words: Vec<Piece<'_>> = pieces(name)
        .into_iter()
        .filter(|piece| piece.kind == Kind::Word)
        .map(|piece| Piece {
            open_left: false,
            open_right: false,
            ..piece
        })
        .collect();
    narrow(section, &[Area::Head], &words, within)
}

struct Needle<'a> {
    text: &'a str,
    pieces: Vec<Piece<'a>>,
}

impl<'a> Needle<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            pieces: pieces(text),
        }
    }

    /// One or two characters: a large part of all tokens have it.
    fn is_short(&self) -> bool {
        self.text.chars().nth(2).is_none()
    }

    fn is_decisive_in(&self, area: Area) -> bool {
        let mut pieces = self.pieces.iter();
        pieces.any(|piece| is_decisive(self.text, piece, area))
    }

    /// Messages that have it in these areas, and others that may have it. A needle may reach from a field's name into its
    /// value, so each piece is asked of all areas by itself.
    fn in_areas(
        &self,
        section: &Section,
        areas: &[Area],
        within: &Bits,
    ) -> Result<(Bits, Bits), IndexError> {
        let mut certain = Bits::none(section.messages());
        let mut all_decisive = true;
        for area in areas {
            match self
                .pieces
                .iter()
                .find(|piece| is_decisive(self.text, piece, *area))
            {
                Some(piece) => add(section, *area, piece, within, &mut certain)?,
                None => all_decisive = false,
            }
        }
        certain.intersect(within);
        if all_decisive {
            return Ok((certain, Bits::none(section.messages())));
        }
        let mut left = within.clone();
        left.subtract(&certain);
        let uncertain = narrow(section, areas, &self.order(), &left)?;
        Ok((certain, uncertain))
    }

    /// The pieces worth asking for, cheap and rare ones first: whole tokens, then those that are open at one side, longer
    /// ones first.
    fn order(&self) -> Vec<Piece<'a>> {
        let all = self.pieces.iter().enumerate();
        let telling = all.filter(|(at, piece)| !self.is_implied(*at, piece));
        let mut chosen: Vec<Piece<'a>> = telling.map(|(_, piece)| *piece).collect();
        chosen.sort_by_key(|piece| {
            let open = piece.open_left || piece.open_right;
            (open, std::cmp::Reverse(piece.text.len()))
        });
        chosen.truncate(PIECES_MAX);
        chosen
    }

    /// A single character at an edge beside a gap: a wide gap has it, and of bare ones it tells little.
    fn is_implied(&self, at: usize, piece: &Piece<'_>) -> bool {
        let is_gap = |at: Option<usize>| {
            let other = at.and_then(|at| self.pieces.get(at));
            other.is_some_and(|other| other.kind == Kind::Gap)
        };
        piece.kind == Kind::Word
            && piece.open_left != piece.open_right
            && piece.text.chars().nth(1).is_none()
            && (is_gap(at.checked_sub(1)) || is_gap(at.checked_add(1)))
    }
}

/// Those that have each piece in one of the areas; asks no further once few are left.
fn narrow(
    section: &Section,
    areas: &[Area],
    pieces: &[Piece<'_>],
    within: &Bits,
) -> Result<Bits, IndexError> {
    let mut left = within.clone();
    for piece in pieces {
        if left.count() <= FEW {
            break;
        }
        let mut having = Bits::none(section.messages());
        for area in areas.iter().rev() {
            add(section, *area, piece, &left, &mut having)?;
        }
        left.intersect(&having);
    }
    Ok(left)
}

/// Adds the messages that have the piece in an area, until all of `enough` are there.
fn add(
    section: &Section,
    area: Area,
    piece: &Piece<'_>,
    enough: &Bits,
    into: &mut Bits,
) -> Result<(), IndexError> {
    if into.covers(enough) {
        return Ok(());
    }
    let tokens = section.matches(area, piece)?;
    section.add_messages(area, piece.kind, &tokens, enough, into)
}
