// The native heap is stdlib.h's.
#pragma once
#include <stdlib.h>
