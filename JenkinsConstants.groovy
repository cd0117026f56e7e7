// Read by the platform's pipeline, which builds the images of this module:
//   base_cpu_tag, base_gpu_tag   what the Dockerfile gets as its argument `tag`
//   dockerfile                   which one, from the root of the checkout
import groovy.transform.Field

@Field
def base_cpu_tag = 'cpu'

@Field
def base_gpu_tag = 'gpu'

@Field
def dockerfile = 'docker/Dockerfile'

return this;
