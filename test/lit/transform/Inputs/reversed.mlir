// Pools, with the rows turned round after the first.
func.func @main(%x: tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8> {
  %1 = tosa.max_pool2d %x {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
  %2 = tosa.reverse %1 {axis = 1 : i32} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
  %3 = tosa.max_pool2d %2 {kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
  %4 = tosa.max_pool2d %3 {kernel = array<i64: 3, 1>, pad = array<i64: 1, 1, 0, 0>, stride = array<i64: 1, 1>} : (tensor<1x8x4x2xi8>) -> tensor<1x8x4x2xi8>
  return %4 : tensor<1x8x4x2xi8>
}
