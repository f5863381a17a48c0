# choice(NAME WHAT): a setting that is AUTO, ON or OFF.
function(choice name what)
  set(${name} AUTO CACHE STRING "AUTO, ON or OFF: ${what}")
  set_property(CACHE ${name} PROPERTY STRINGS AUTO ON OFF)
  if(NOT ${name} MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "${name} must be AUTO, ON or OFF, got ${${name}}")
  endif()
endfunction()
