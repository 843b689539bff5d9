// Programs with a data race each, and the same programs without.
//
// usage: races CASE [mended]
#include "races/blocks.h"
#include "races/bytes.h"
#include "races/locks.h"
#include "races/publish.h"

#define CASE(name) {#name, name}
static const struct race_case CASES[] = {
  CASE(lost_update), CASE(one_path), CASE(wrong_lock), CASE(after_unlock), CASE(plain_unlock),
  CASE(write_as_reader), CASE(predicate_unlocked), CASE(reference_count), CASE(plain_flag),
  CASE(write_behind_flag), CASE(store_hides), CASE(lazy), CASE(double_checked), CASE(ring_index),
  CASE(before_join), CASE(no_barrier), CASE(loop_variable), CASE(stack_is_gone), CASE(bit_fields),
  CASE(mixed_sizes), CASE(mixed_atomic), CASE(overlap), CASE(copy_and_store), CASE(fill_and_load),
  CASE(read_freed), CASE(freed_read), CASE(freed_write), CASE(host_write), CASE(host_read),
  CASE(sequence_lock), CASE(sequence_unchecked),
};

int guest_main(int argc, char **argv) {
  check(argc > 1, "usage: races CASE [mended]");
  mended = argc > 2;
  for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    if (strcmp(argv[1], CASES[i].name) == 0) {
      CASES[i].run();
      return 0;
    }
  }
  check(false, "no case %s", argv[1]);
  return 1;
}
