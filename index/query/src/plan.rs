//! From a key to the messages of a section that may have its needle, by the tokens that a text with the needle must have.

use crate::limits::{FEW, PIECES_MAX};
use crate::tree::{Place, TextKey};
use index_store::{Bits, IndexError, Section};
use index_text::{Area, Kind, Piece, is_decisive, pieces};

/// Messages that may have it: no other one has.
pub struct Candidates {
    pub messages: Bits,
    /// They have it: no look into the text is needed.
    pub certain: bool,
}

/// Among `within`.
pub fn candidates(
    section: &Section,
    key: &TextKey,
    within: &Bits,
) -> Result<Candidates, IndexError> {
    let all_areas = Area::ALL;
    let of_field;
    let (areas, own_area): (&[Area], bool) = match &key.place {
        Place::Text => (&all_areas, true),
        Place::Body => (&[Area::Body], true),
        Place::Field(name) => {
            of_field = [Area::of_field(name)];
            (&of_field, of_field[0] != Area::Head)
        }
    };
    let needle = key.needle.as_str();
    let all = pieces(needle);
    let decisive = all.iter().find(|piece| is_decisive(needle, piece));
    if let Some(piece) = decisive {
        let mut messages = having(section, areas, piece)?;
        messages.intersect(within);
        return Ok(Candidates {
            messages,
            certain: own_area,
        });
    }
    let mut messages = within.clone();
    if let Place::Field(name) = &key.place
        && needle.is_empty()
    {
        // The names of all fields are in one area. A name stands between a line's start and a colon.
        let names = pieces(name);
        let inner = names
            .iter()
            .filter(|piece| piece.kind == Kind::Word)
            .map(whole);
        let narrowed = narrow(
            section,
            &[Area::Head],
            &inner.collect::<Vec<_>>(),
            &mut messages,
        );
        narrowed?;
    } else {
        narrow(section, areas, &order(&all), &mut messages)?;
    }
    Ok(Candidates {
        messages,
        certain: needle.is_empty() && !matches!(key.place, Place::Field(_)),
    })
}

fn whole<'a>(piece: &Piece<'a>) -> Piece<'a> {
    Piece {
        open_left: false,
        open_right: false,
        ..*piece
    }
}

/// The pieces worth asking for, cheap and rare ones first: whole tokens, then those that are open at one side, longer ones
/// first.
fn order<'a>(all: &[Piece<'a>]) -> Vec<Piece<'a>> {
    let mut chosen: Vec<Piece<'a>> = all
        .iter()
        .enumerate()
        .filter(|(at, piece)| !is_implied(all, *at, piece))
        .map(|(_, piece)| *piece)
        .collect();
    chosen.sort_by_key(|piece| {
        let open = piece.open_left || piece.open_right;
        (open, std::cmp::Reverse(piece.text.len()))
    });
    chosen.truncate(PIECES_MAX);
    chosen
}

/// A single character at an edge beside a gap: the gap's token has it.
fn is_implied(all: &[Piece<'_>], at: usize, piece: &Piece<'_>) -> bool {
    let is_gap = |at: Option<usize>| {
        at.and_then(|at| all.get(at))
            .is_some_and(|p| p.kind == Kind::Gap)
    };
    piece.kind == Kind::Word
        && piece.open_left != piece.open_right
        && piece.text.chars().nth(1).is_none()
        && (is_gap(at.checked_sub(1)) || is_gap(at.checked_add(1)))
}

/// Takes away what lacks a piece, until few are left.
fn narrow(
    section: &Section,
    areas: &[Area],
    pieces: &[Piece<'_>],
    messages: &mut Bits,
) -> Result<(), IndexError> {
    for piece in pieces {
        if messages.count() <= FEW {
            break;
        }
        messages.intersect(&having(section, areas, piece)?);
    }
    Ok(())
}

/// The messages that have the piece in one of the areas. A needle may reach from a field's name into its value, so each
/// piece is asked for by itself.
fn having(section: &Section, areas: &[Area], piece: &Piece<'_>) -> Result<Bits, IndexError> {
    let mut found = Bits::none(section.messages());
    for area in areas {
        let tokens = section.matches(*area, piece)?;
        section.add_messages(*area, piece.kind, &tokens, &mut found)?;
    }
    Ok(found)
}
