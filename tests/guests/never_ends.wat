;; Loads a word for ever.
(module
  (import "env" "memory" (memory 1 1 shared))
  (export "memory" (memory 0))
  (func (export "_start")
    (loop $again
      (br_if $again (i32.eqz (i32.atomic.load (i32.const 0)))))))
