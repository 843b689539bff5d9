// Functions with all that debug information says of C++: namespaces, templates, operators, lambdas,
// virtual calls, functions inlined into one another, blocks in them, and functions that are called
// twice. It traps at the end.
//
// Freestanding: there is no C++ library for threads.

namespace shapes {

struct Shape {
  int side;
  explicit Shape(int side) : side(side) {}
  virtual int area() const = 0;
};

struct Square : Shape {
  using Shape::Shape;
  int area() const override { return side * side; }
};

template <typename T, int N> struct Fixed {
  T items[N];
  __attribute__((always_inline)) T &operator[](int index) {
    if (index >= N) __builtin_trap();
    return items[index];
  }
};

template <typename F> __attribute__((always_inline)) inline int twice(F f, int value) {
  int once = f(value);
  {
    int again = f(once);
    return once + again;
  }
}

namespace {
__attribute__((noinline)) int divide(int a, int b) {
  return a
    / b;
}
} // namespace

template <typename T> __attribute__((noinline)) int total(const T &shape, Fixed<int, 4> &list) {
  int sum = 0;
  for (int i = 0; i < 4; i++) {
    sum += twice([&](int x) { return x + list[i] + shape.area(); }, i);
  }
  return sum;
}

} // namespace shapes

// What a library would have for it.
extern "C" void __cxa_pure_virtual() { __builtin_trap(); }

static shapes::Fixed<int, 4> list = {{4, 3, 2, 1}};

extern "C" __attribute__((export_name("_start"))) void start() {
  shapes::Square square(3);
  int sum = shapes::total<shapes::Shape>(square, list);
  volatile int zero = 0;
  volatile int result = shapes::twice([&](int x) { return shapes::divide(x, zero); }, sum);
  (void)result;
}
