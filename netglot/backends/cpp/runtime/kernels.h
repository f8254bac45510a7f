// Every kernel that a generated model may call.
#pragma once

#include "conv.h"
#include "dense.h"
#include "depthwise.h"
#include "detection.h"
#include "gemm.h"
#include "lines.h"
#include "map.h"
#include "nest.h"
#include "quantized_conv.h"
#include "quantized_depthwise.h"
#include "quantized_pointwise.h"
#include "recurrent.h"
#include "rows.h"
#include "scalar.h"
#include "window.h"
#include "winograd.h"
