//! Children against their parents.

use crate::support::{race, with_entry};
use table_sync::Error;

#[test]
fn a_parent_goes_or_gets_a_child() {
    for detach in [false, true] {
        with_entry(2, 1, move |table, parent| {
            race(
                table,
                [
                    Box::new(move |table| match table.push_child(2u32, &parent) {
                        Ok(child) => {
                            assert_eq!(*table.get(&parent).unwrap(), 1);
                            assert_eq!(table.delete(child), Ok(2));
                        }
                        Err(error) => assert_eq!(error, Error::NotPresent),
                    }),
                    Box::new(move |table| {
                        let removed = if detach {
                            table.detach(parent)
                        } else {
                            table.delete(parent).map(|value| assert_eq!(value, 1))
                        };
                        if let Err(error) = removed {
                            assert_eq!(error, Error::HasChildren);
                        }
                    }),
                ],
            );
            if table.get(&parent).is_ok() {
                assert_eq!(table.children(&parent), Ok(vec![]));
                assert_eq!(table.delete(parent), Ok(1));
            }
            assert!(table.is_empty());
        });
    }
}

#[test]
fn two_children_leave_at_once() {
    with_entry(2, 0, |table, parent| {
        let a = table.push_child(1u32, &parent).unwrap();
        let b = table.push_child(2u32, &parent).unwrap();
        race(
            table,
            [
                Box::new(move |table| assert_eq!(table.delete(a), Ok(1))),
                Box::new(move |table| assert_eq!(table.delete(b), Ok(2))),
            ],
        );
        assert_eq!(table.delete(parent), Ok(0));
    });
}

/// Each becomes the other's child: locks are taken in one order, whatever the roles.
#[test]
fn crosswise_adoption() {
    with_entry(2, 0, |table, a| {
        let b = table.push(1u32).unwrap();
        race(
            table,
            [
                Box::new(move |table| table.add_child(a, b).unwrap()),
                Box::new(move |table| table.add_child(b, a).unwrap()),
            ],
        );
        assert_eq!(table.delete(a), Err(Error::HasChildren));
        table.remove_child(a, b).unwrap();
        assert_eq!(table.delete(b), Ok(1));
        assert_eq!(table.delete(a), Ok(0));
    });
}

#[test]
fn adoption_against_removal_of_the_child() {
    with_entry(2, 0, |table, parent| {
        let child = table.push(1u32).unwrap();
        race(
            table,
            [
                Box::new(move |table| {
                    if let Err(error) = table.add_child(child, parent) {
                        assert_eq!(error, Error::NotPresent);
                    }
                }),
                Box::new(move |table| assert_eq!(table.delete(child), Ok(1))),
            ],
        );
        assert_eq!(table.delete(parent), Ok(0));
    });
}
