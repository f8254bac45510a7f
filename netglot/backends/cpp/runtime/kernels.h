// Every kernel that a generated model may call.
#pragma once

#include "dense.h"
#include "detection.h"
#include "lines.h"
#include "map.h"
#include "nest.h"
#include "recurrent.h"
#include "rows.h"
#include "scalar.h"
#include "window.h"
